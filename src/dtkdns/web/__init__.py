"""HTTP in and out.

A request comes through `server` and `channel` (how much, how long), `limits` (how many at once) and `gate` (who
may call) to the routes: `webhook` for external-dns, `management` for people and DTK's scripts, `probes` for who
watches. `answers` and `errors` turn what these return or raise into replies, `refusals` and `metrics` tell of
them, and `site` puts all together.
"""
