"""The receiving side: audio and other webhooks that are posted to this server, and what is done with them.

`intake` takes audio, `joining` makes sessions of it, `consuming` gives each to what `engine.server.receiving` has put
together: transcription, files, processors, and whoever it is sent on to.
"""
