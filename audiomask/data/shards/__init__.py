"""Shards: songs packed into tar files, for data beyond one disk."""
