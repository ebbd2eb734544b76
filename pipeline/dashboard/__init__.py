"""The analysts' page and the HTTP API. Both read the store and nothing else.

``index`` holds what is filtered and counted in memory, ``feed`` keeps it up to date and tells open
pages what is new, ``api`` answers, ``guard`` says who may ask, ``server`` puts them together, and
``static`` is the page.
"""
