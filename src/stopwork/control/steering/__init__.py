"""Whether a call follows what a run was asked to do, or what it has read.

``spelling`` undoes the ways in which a text can hide what it says, ``deeds`` finds where a text asks for something to be done, ``content``
takes apart what came from outside, ``authors`` tells who wrote it, and ``judge`` weighs what a call has in common with it. It compares texts: a clue, and no proof.
"""
