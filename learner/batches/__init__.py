"""From sequences to micro-batches: padded, packed, a group's beginning computed once."""
