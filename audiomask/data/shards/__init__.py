"""Shards: songs packed into tar files, for data sets larger than a disk."""
