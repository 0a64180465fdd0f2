"""Usage as people write it in files, turned into the tables of rating; and how two ratings differ."""
