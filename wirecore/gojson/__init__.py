"""JSON as Go's encoding/json writes and reads it, of the types that gob has.

Fields of structs have the names that gob gives them. A class that encodes itself travels as a
text, and must have ``marshal_text`` and ``unmarshal_text``.
"""
