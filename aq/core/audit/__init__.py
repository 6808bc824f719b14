"""Replaying a queue's history: is each commit a legal step, and does every invariant hold after it?"""
