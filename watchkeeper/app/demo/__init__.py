"""`watchkeeper demo`: a small shop on loopback that can be broken on purpose, watched by an engine of its own."""
