"""How the models are made. Nothing here is imported at run time."""
