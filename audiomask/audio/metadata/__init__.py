"""What belongs to a recording besides its samples: tags, pictures, time code, cues, layout."""
