"""The tests of CodeLupe, one file a subject."""
