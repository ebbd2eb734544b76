"""The HTTP API of the dashboards. It reads the store and nothing else.

``index`` holds what is filtered and counted in memory, ``feed`` keeps it up to date and tells open
streams what is new, ``queries`` and ``answers`` say what goes in and out, ``api`` answers,
``guard`` says who may ask, ``server`` puts them together.
"""
