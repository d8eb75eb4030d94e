"""The stems that models know where nothing else is said."""

#: in the order of the models' outputs
STEMS = ("guitar", "piano", "bass", "drums", "vocals")
