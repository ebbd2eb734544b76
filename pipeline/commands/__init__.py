"""One module a command; each exposes a click command or group named ``command``."""
