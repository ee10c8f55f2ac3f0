"""How the next training set is put together from real data and from what models wrote. One file per regime."""
