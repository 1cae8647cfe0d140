"""Tests of what ages: claims and archives."""
