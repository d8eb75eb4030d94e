"""Metadata of recordings: tags, pictures, time code, cues, speaker layout."""
