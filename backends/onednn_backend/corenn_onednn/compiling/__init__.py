"""Programs as command lists: which primitive serves which call, what is fused, where every value lies."""
