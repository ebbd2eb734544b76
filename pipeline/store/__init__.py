"""The event store: what the topics told, in a database that the dashboards read.

``tables`` says what is kept and ``migrations`` how it came to be so, ``database`` opens it,
``writing`` puts records in and ``reading`` takes them out. Nothing here knows Kafka or HTTP.
"""
