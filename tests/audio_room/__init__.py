"""Tests of engine.audio. (tests/audio holds recordings.)"""
