"""Holds the labels and the clock. Never imports torch, never imports or unpickles what a worker sends."""
