"""Frames and masks in, frames out; nothing in here is learned."""
