"""Spillover: does subtracting the direction cure the organism, and is it this direction that does it?"""
