"""For the tests of this project and of those who embed it: stand-ins that say what they were really given.

Public; imports from any room below `web`, is imported by none.
"""

from engine.testing.scripted import ScriptedVendor, counted_words, script_of

__all__ = ["ScriptedVendor", "counted_words", "script_of"]
