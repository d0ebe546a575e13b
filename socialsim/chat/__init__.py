"""A person talks to a supporter: alone (`conversation`), or to two under hidden names (`blind_session`).

A message is looked at by rule (`danger`) before any LM is asked; one that speaks of self-harm or danger gets a fixed
text (`crisis`). What a supporter is asked is what `programs.simulate` asks it, at the pace of `pace`.
"""
