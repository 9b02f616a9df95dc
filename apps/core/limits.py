"""
Limits on external input, in one file.

Generous enough for anyone who types, and for a school behind one address; programs out of control are stopped.
"""

from apps.core.bounded import Limits

# Processing users' text, and the number of child processes for it.
TEXT_CHILDREN = 2
TEXT = Limits(
    processor_seconds=0.1,
    wall_seconds=1.0,
    memory_bytes=64 * 1024 * 1024,
    output_bytes=512 * 1024,
    queue_seconds=2.0,
)
# Links per message, written as Markdown or as bare URLs; further ones stay text. Each takes time and grows eightfold.
MAX_LINKS = 100
# Longer code is shown without highlighting. Lexers backtrack: twice the text, or a run of spaces twice as long, can
# take eight times the work. `python -m tests.fuzz.languages` measures each.
MAX_HIGHLIGHTED_CHARACTERS = 2000
MAX_HIGHLIGHTED_LINE_CHARACTERS = 200
MAX_HIGHLIGHTED_SPACES = 80


def max_html_bytes(source_bytes: int) -> int:
    """Return the size limit for a message's HTML: what is stored and sent must be in proportion to what was typed."""
    return 4096 + 8 * source_bytes


# Mentions per message: enough to name a class one by one, but not a whole school. Each is sent to everyone.
MAX_MENTIONS = 100
# How many @ signs of a message are looked up: some are in e-mail addresses, and some repeat a name.
MAX_AT_SIGNS = 300
# The longest name looked up; names have up to 40 letters, older ones up to 150.
MAX_MENTION_CHARACTERS = 160


# Pictures. Pixel limits follow from what the decoder holds: baseline JPEG is decoded at an eighth of its size,
# progressive JPEG is not; WebP's decoder holds three copies. One picture is decoded at a time.
MAX_PICTURE_BYTES = 5 * 1024 * 1024
MAX_JPEG_PIXELS = 64_000_000
MAX_PICTURE_PIXELS = 16_000_000
MAX_WEBP_PIXELS = 12_500_000
PICTURE = Limits(
    processor_seconds=5.0,
    wall_seconds=15.0,
    memory_bytes=192 * 1024 * 1024,
    output_bytes=1024 * 1024,
    queue_seconds=30.0,
)

# Any request without a file; a form with a file may be larger (apps/core/bodies.py).
MAX_BODY_BYTES = 1024 * 1024

# Open room invitations sent by one user: enough for a teacher to invite a whole school.
MAX_ROOM_INVITATIONS = 1000
# How many of them the first page lists; more appear as these are answered.
MAX_LISTED_INVITATIONS = 50

# What one user posts, edits and deletes, over all pages in one process: a sustained rate and a burst. Beyond that,
# posts are delayed by up to MAX_WAIT_SECONDS, then refused.
POSTS_PER_SECOND = 100.0
MAX_POSTS_AT_ONCE = 500.0
# The text in it: otherwise one member could make everyone's pages and the database grow by 4 MB a second.
TEXT_BYTES_PER_SECOND = 1_000_000 / 60
MAX_TEXT_BYTES_AT_ONCE = 800_000.0
MAX_WAIT_SECONDS = 2.0
# Read markers. A page with scripts sends one whenever its reader pauses.
MARKS_PER_SECOND = 20.0
MAX_MARKS_AT_ONCE = 200.0
# What one page may send before getting a response; beyond that it is closed.
MAX_UNANSWERED = 200
MAX_UNANSWERED_CHARACTERS = 1024 * 1024
# Open WebSockets of one user in one process.
MAX_SOCKETS_OF_A_PERSON = 1000
# Users whose allowance is kept; beyond that, the ones without a page open and away longest are dropped.
MAX_ALLOWANCES = 10_000

# Live views open at once: per user, and per address for anonymous visitors. Browsers open at most six connections to a
# site without HTTP/2, and a live view holds one.
MAX_LIVE_VIEWS = 2
MAX_LIVE_VIEWS_OF_AN_ADDRESS = 20

# An IPv6 subscriber usually has the whole network with this prefix, so it counts as one address.
IPV6_PREFIX_BITS = 64

# Cache entries in one process without Redis (apps/core/cache.py).
MAX_CACHE_ENTRIES = 200_000

# One encrypted message between processes over Redis; a user's message takes at most half of it (TEXT).
MAX_LAYER_BYTES = 1024 * 1024

# Rates in django-allauth's notation: a count per hour, minute or day, by user or by address. Applied by a decorator on
# the view (apps/core/limited.py).
RATES = {
    # Each adds a row to everyone's room list, and a renamed room keeps its old address.
    "rooms": "60/h/user",
    "room_details": "30/h/user",
    "room_endings": "60/h/user",
    # Each notifies everyone in the room.
    "joining": "30/m/user,300/h/user",
    "members": "60/m/user,500/h/user",
    "invitations": "60/h/user",
    "invitations_revoked": "300/h/user",
    # By address, since an invited person may have no account yet. A school class follows a link all at once.
    "invitations_followed": "120/m/ip,1200/h/ip",
    "profile": "60/h/user",
    "preferences": "120/h/user",
    # Pictures are decoded; a download reads everything that the user ever wrote.
    "pictures": "20/h/user",
    "downloads": "10/h/user",
    # A former name stays reserved.
    "usernames": "10/d/user",
    "devices": "120/h/user",
    # Second factors and linked accounts: each change may send mail.
    "factors": "60/h/user",
    # By address; a school class signing up in one lesson shares one.
    "sign_ups": "120/m/ip,300/h/ip",
    "closing": "20/h/user",
    # Redirects to a provider to sign in; as often as signing in with a password.
    "elsewhere": "120/m/ip,1200/h/ip",
    "site": "120/h/user",
}
# Former addresses that lead to a room; beyond that, the oldest are dropped.
MAX_FORMER_SLUGS = 20

# Replacing all of django-allauth's own (under its names), and adding to them.
ACCOUNT_RATES = {
    "signup": RATES["sign_ups"],
    # A school signs in from one address when the lesson begins, with some typing errors.
    "login": "120/m/ip,1200/h/ip",
    "login_failed": "30/m/ip,5/5m/key",
    # Not by the address typed, which would lock its owner out: MAIL_RATES handles that.
    "request_login_code": "20/m/ip",
    "reset_password": "20/m/ip",
    "reset_password_from_key": "20/m/ip",
    "confirm_email": "120/m/ip",
    "reauthenticate": "10/m/user",
    "change_password": "5/m/user",
    "manage_email": "10/m/user",
    # Phone numbers are not used.
    "change_phone": "1/m/user",
    "verify_phone": "1/30s/key,3/m/ip",
    # Wrong passwords in a browser where the account's owner has signed in before. All other browsers share five in five
    # minutes, so strangers can't lock users out of their own browser.
    "login_failed_in_known_device": "10/5m/key",
}
# Mails to one address (apps/accounts/mail.py); each rate's key says who is counted. The last mail before a limit has a
# password reset link, which must be valid until mails are allowed again: for longer than the longest period, a day.
MAIL_RATES = {
    # Requested from browsers unknown to the address's owner: by network, and by all together. A new user needs three:
    # one lost to the spam folder, one more, and one for the forgotten password.
    "network": "5/h/key,10/d/key",
    "strangers": "10/h/key,20/d/key",
    # Requested from a browser where the address's owner has signed in before.
    "known_browser": "10/h/key,30/d/key",
    # About changes to an account, made by its signed-in user. Setting up everything at once takes ten.
    "notices": "30/d/key",
}

# Passkeys. A response is about 1 KB, 8 KB with a long attestation; the longest keys take 4 KB.
MAX_PASSKEY_CHARACTERS = 32 * 1024
MAX_PASSKEY_NAME_CHARACTERS = 60
# Number of accounts that a browser is remembered to have signed in to.
MAX_KNOWN_ACCOUNTS = 5

# Signing up.
# If the same browser sends the same form again within this time, it is a double click: no second mail is sent, and the
# response redirects to the same page.
SENT_TWICE_SECONDS = 30
# How long an account with an unconfirmed address keeps its username if someone else wants it.
UNPROVEN_NAME_DAYS = 3

# The database. Lock timeout: longer than PostgreSQL takes to detect a deadlock (a second), shorter than users wait.
LOCK_SECONDS = 2.0
# Statement timeout. The slowest, detaching a user from 100,000 messages, takes some seconds.
STATEMENT_SECONDS = 30.0
# Timeout for idling inside a transaction: no code of ours waits in one, but a process may be suspended.
IDLE_IN_TRANSACTION_SECONDS = 10.0
# Busy timeout of SQLite, which has one writer: a slow disk or `populate` can take some seconds.
FILE_SECONDS = 10.0
# Timeouts for connecting to the server, and for a server that owes a reply but stays silent.
CONNECT_SECONDS = 5
SILENT_SECONDS = 20
# Pool size of a process, and how long to wait for a connection from it.
MAX_CONNECTIONS = 20
CONNECTION_SECONDS = 5.0
# How often to try a transaction that the database aborts in favour of others, with pauses of up to this many seconds.
TRIES = 4
MAX_RETRY_PAUSE_SECONDS = 0.05
# Per room and process: running or waiting at the database, out of 20 connections and 8 threads for sockets.
MAX_AT_ONE_ROOM = 3
# Queueing behind those, for this long: a page asks after 8 seconds what became of its message.
MAX_WAITING_FOR_A_ROOM = 500
ROOM_SECONDS = 6.0
# How many transactions may try at once, over all rooms that are locked by others.
MAX_TRYING = 2
# Read markers stored at the same time.
MAX_MARKING = 4
# Minimum time between two log lines about one kind of database trouble, which fails many requests at once.
TROUBLE_PAUSE_SECONDS = 5.0

# Connections. Enough for a phone on 2G, but not for a program that hoards connections.
# For the headers of a request, from its first byte (for the first request, from connecting).
HEADERS_SECONDS = 20.0
# For a body, plus a second for every BODY_BYTES_PER_SECOND received; no single pause may exceed BODY_PAUSE_SECONDS.
BODY_SECONDS = 20.0
BODY_BYTES_PER_SECOND = 2048
BODY_PAUSE_SECONDS = 60.0
# Between two requests, and without reading any of a response.
IDLE_SECONDS = 75.0
# Unread responses of a client that requests more.
MAX_UNREAD_ANSWER_BYTES = 1024 * 1024
# Half-sent requests per address (or IPv6 network), unless there is a proxy. Complete requests don't count.
MAX_HALF_SENT = 200
# Each is allowed at least this long: after a restart a whole school connects at once, before any of it is read.
HALF_SENT_SECONDS = 5.0
# File descriptors of a process, as far as the system allows; and those reserved for files, the database and Redis.
MAX_DESCRIPTORS = 65_536
KEPT_DESCRIPTORS = 256
# Connections that WebSockets leave free for pages and health checks.
KEPT_FOR_PAGES = 64
# Frames of a WebSocket. A page may send 200 posts at once, and answers a ping every 20 s; browsers send no pings.
MESSAGES_PER_SECOND = 100.0
MAX_MESSAGES_AT_ONCE = 400.0
CONTROLS_PER_SECOND = 10.0
MAX_CONTROLS_AT_ONCE = 100.0
# How long to tell a page that sent too much why it is being closed.
LAST_WORDS_SECONDS = 5.0
# Anonymous WebSockets per address (or IPv6 network) in one process.
MAX_SOCKETS_OF_GUESTS = 100
# Body bytes kept in memory; larger bodies go into a temporary file.
MAX_BODY_BYTES_IN_MEMORY = 100_000
# A refused form that is given back: the longest message has 120 KB if each character takes twelve bytes.
MAX_KEPT_BYTES = 256 * 1024

# Sign-in providers: how often they are asked, and how long and large their responses may be.
# From the first byte of a request to the last of the response, over all requests of one page. A user is waiting.
PROVIDER_SECONDS = 8.0
PROVIDER_CONNECT_SECONDS = 3.0
# Per response. Discovery and tokens have some KB; with very many groups, a token has tens of KB.
MAX_PROVIDER_ANSWER_BYTES = 256 * 1024
# Pages per process that ask providers at once, and how many seconds others queue: a class that returns at once waits
# some tenths of a second.
PROVIDER_PAGES = 16
PROVIDER_QUEUE_SECONDS = 2.0
# Requests to providers per process and minute. Each sign-in takes two.
PROVIDER_CALLS_PER_MINUTE = 1200
# How long a provider's description is cached, and how long to wait before asking again if none came.
PROVIDER_CONFIGURATION_SECONDS = 600.0
PROVIDER_RETRY_SECONDS = 3.0
# How long a provider that was reached counts as reachable before users are sent to it.
PROVIDER_REACHED_SECONDS = 0.5

# Processes comparing themselves (apps/core/cluster.py): the interval, the interval while not ready, and the silence
# after which the others ignore a process.
BEAT_SECONDS = 15.0
SOON_SECONDS = 2.0
SILENCE_SECONDS = 45.0
# Expired sessions deleted per transaction, short enough to delay no one.
MAX_SWEPT_SESSIONS = 500
# How far a process's clock may be off the database's. With NTP, machines are within a tenth of a second.
MAX_CLOCK_DIFFERENCE_SECONDS = 10.0
# How long a `migrate` waits for another to finish.
MIGRATE_SECONDS = 600.0
# How long a migration waits for a lock before it lets those who have queued behind it go first; less than LOCK_SECONDS,
# after which a page gives up. The pause until the next try; and for how long it is tried.
MIGRATION_LOCK_SECONDS = 1.0
MIGRATION_PAUSE_SECONDS = 2.0
MIGRATION_TRIES_SECONDS = 600.0

# Jobs (apps/jobs). Threads per queue in each process: "default" works on the database, where SQLite allows one writer
# anyway; "network" waits for other servers.
JOB_THREADS = {"default": 1, "network": 4}
# How often a process polls for jobs of other processes; its own start at once.
JOB_POLL_SECONDS = 1.0
# A worker's heartbeat, and the silence after which others take over its jobs.
JOB_BEAT_SECONDS = 10.0
JOB_LEASE_SECONDS = 30.0
# The silence of all workers after which web processes run jobs themselves.
WORKER_SILENCE_SECONDS = 60.0
# Attempts per job, and the pause after the first failure; it doubles each time, up to the maximum.
JOB_TRIES = 8
JOB_RETRY_SECONDS = 5.0
MAX_JOB_RETRY_SECONDS = 3600.0
# How long a process that shuts down waits for its running jobs: less than shutdown.WORK_SECONDS.
JOB_SHUTDOWN_SECONDS = 8.0
# How long finished and failed jobs are kept; and rows deleted per transaction.
KEPT_JOBS_DAYS = 1
KEPT_FAILED_JOBS_DAYS = 30
MAX_PRUNED_ROWS = 500

# Mail that the site sends. Attempts, which take about a day; and how long a mail stays worth sending, unless it holds a
# code that expires sooner.
MAIL_TRIES = 30
MAIL_SECONDS = 24 * 3600.0
# How long a page waits to learn whether the mail server accepts a mail; and for how long after a failure pages say that
# it doesn't, unless they learn otherwise.
MAIL_WAIT_SECONDS = 2.0
MAIL_TROUBLE_SECONDS = 60.0

# Rendering old messages again (apps/chat/renewal.py). How long one job works; messages per query, and per transaction;
# and the time after which all are checked again, for messages that older processes have stored since.
RENEWAL_SECONDS = 1.0
RENEWAL_ROWS = 2000
RENEWAL_AT_ONCE = 20
RENEWAL_AGAIN_HOURS = 24
