"""Pure-Python twins of the compiled modules, with the same names and the same behaviour.

``wirecore_py.frames`` is the twin of ``wirecore._frames``, and so on. They import nothing of
``wirecore`` but its leaves: errors, constants and events.
"""
