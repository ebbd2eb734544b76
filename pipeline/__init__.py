"""Kasnec: news articles in, diplomatic-event records out.

Data flows one way through the package, in the order in which an article travels:
``streaming`` takes it from its topic, ``stages`` decode, annotate and code it, ``stories`` says
which real-world event it is, and ``streaming`` publishes the records.
"""

__version__ = "0.1.0"
