"""Recipes, the experiments that they describe, and what comes out of them.

Nothing is imported here: recipes are read without torch, and the command stays quick.
"""
