"""The pure core, one module a step, in the order in which an article travels.

decode → language → tokenise → entities → events → parties → dates → places → codes → merge → chain

Nothing here knows of Kafka or Faust: values in, values out, and errors of the tree in
``pipeline.errors``. Nothing here knows a word of any language either: that is data under
``pipeline/languages``.
"""
