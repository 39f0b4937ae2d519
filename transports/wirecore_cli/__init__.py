"""The command ``wirecore``. Its command line is the interface: no module in here is public API."""
