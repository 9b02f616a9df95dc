"""
Limits on what comes from outside, in one file.

Generous to anyone who types, a school behind one address included; an end to programs that run wild.
"""

from apps.core.bounded import Limits

# Work on a stranger's text, and how many children do it.
TEXT_CHILDREN = 2
TEXT = Limits(
    processor_seconds=0.1,
    wall_seconds=1.0,
    memory_bytes=64 * 1024 * 1024,
    output_bytes=512 * 1024,
    queue_seconds=2.0,
)
# Links in one message, by mark or by address; what comes after them is text. Each takes time and grows eightfold.
MAX_LINKS = 100
# Code beyond this is shown without colours. Lexers go back and try again: twice the text, or a run of spaces twice as
# long, is up to eight times the work. `python -m tests.fuzz.languages` says what each takes.
MAX_HIGHLIGHTED_CHARACTERS = 2000
MAX_HIGHLIGHTED_LINE_CHARACTERS = 200
MAX_HIGHLIGHTED_SPACES = 80


def max_html_bytes(source_bytes: int) -> int:
    """How large a message's HTML may be: what is stored and sent to everyone is in proportion to what was typed."""
    return 4096 + 8 * source_bytes


# Words behind an @ in one message: a class is named one by one, no program a whole school. Each is sent to everyone.
MAX_MENTIONS = 100
# How many of a message's @ are looked at: some stand in addresses, and some name one person again.
MAX_AT_SIGNS = 300
# The longest that is looked at; names have 40 letters, older ones up to 150.
MAX_MENTION_CHARACTERS = 160


# Pictures. Pixels by what the decoder holds of them: JPEG is decoded at an eighth of its size, unless it is
# progressive; WebP's decoder holds three copies. One is decoded at a time.
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

# Of any request that brings no file; a form with a file may be larger (apps/core/bodies.py).
MAX_BODY_BYTES = 1024 * 1024

# Invitations to rooms by name that one person has open: a teacher asks in a whole school, no program everybody twice.
MAX_ROOM_INVITATIONS = 1000
# How many of them the first page lists; more are shown as these are answered.
MAX_LISTED_INVITATIONS = 50

# What one person posts, edits and deletes, over all their pages in one process: so much a second in the long run, so
# much at once. Who sends more is held back for MAX_WAIT_SECONDS at most, and beyond that refused.
POSTS_PER_SECOND = 100.0
MAX_POSTS_AT_ONCE = 500.0
# The text of it: a member could otherwise make everybody's pages and the database grow by 4 MB a second.
TEXT_BYTES_PER_SECOND = 1_000_000 / 60
MAX_TEXT_BYTES_AT_ONCE = 800_000.0
MAX_WAIT_SECONDS = 2.0
# Notes of how far somebody has read. A page with scripts sends one as often as its reader pauses.
MARKS_PER_SECOND = 20.0
MAX_MARKS_AT_ONCE = 200.0
# What one page may send before it has been answered; a page that sends more than this is closed.
MAX_UNANSWERED = 200
MAX_UNANSWERED_CHARACTERS = 1024 * 1024
# Open sockets of one person in one process.
MAX_SOCKETS_OF_A_PERSON = 1000
# People whose allowance is kept; of more, those with no page open who were away for longest are forgotten.
MAX_ALLOWANCES = 10_000

# Live views without scripts that are open at once: of a person, and of an address where nobody is signed in.
# Browsers open no more than six connections to a site without HTTP/2, and a live view holds one.
MAX_LIVE_VIEWS = 2
MAX_LIVE_VIEWS_OF_AN_ADDRESS = 20

# Who has one address of IPv6 mostly has all that begin with the same bits, so these count as one.
IPV6_PREFIX_BITS = 64

# Counts that a process keeps where there is no Redis (apps/core/cache.py).
MAX_CACHE_ENTRIES = 200_000

# What other processes say over Redis, in one message, sealed: a message has at most half of it (TEXT).
MAX_LAYER_BYTES = 1024 * 1024

# How often one may do what changes something, in django-allauth's notation: a number of times in an hour, a minute or
# a day, by person or by address. Each stands above a view (apps/core/limited.py).
RATES = {
    # Each is a row in everybody's list of rooms, and a room that is renamed keeps its old address.
    "rooms": "60/h/user",
    "room_details": "30/h/user",
    "room_endings": "60/h/user",
    # Each tells everybody in the room.
    "joining": "30/m/user,300/h/user",
    "members": "60/m/user,500/h/user",
    "invitations": "60/h/user",
    "invitations_revoked": "300/h/user",
    # By address, since who follows one may have no account yet. A school class does so all at once.
    "invitations_followed": "120/m/ip,1200/h/ip",
    "profile": "60/h/user",
    "preferences": "120/h/user",
    # Each is decoded, and each archive reads all that somebody ever wrote.
    "pictures": "20/h/user",
    "downloads": "10/h/user",
    # A former name stays reserved.
    "usernames": "10/d/user",
    "devices": "120/h/user",
    # Second factors and accounts elsewhere: each change may send a mail.
    "factors": "60/h/user",
    # Of those who come from elsewhere; a school class that signs up in one lesson comes from one address.
    "sign_ups": "120/m/ip,300/h/ip",
    "closing": "20/h/user",
    # Going to a provider to sign in; as often as signing in here.
    "elsewhere": "120/m/ip,1200/h/ip",
    "site": "120/h/user",
}
# How many of its former addresses lead to a room; of more, the oldest are let go.
MAX_FORMER_SLUGS = 20

# In place of django-allauth's own (by its names, all of them), and beside them.
ACCOUNT_RATES = {
    "signup": RATES["sign_ups"],
    # A school signs in when the lesson begins, from one address; some of it mistypes.
    "login": "120/m/ip,1200/h/ip",
    "login_failed": "30/m/ip,5/5m/key",
    # Not by the address that somebody typed, which would bar its owner: MAIL_RATES has that.
    "request_login_code": "20/m/ip",
    "reset_password": "20/m/ip",
    "reset_password_from_key": "20/m/ip",
    "confirm_email": "120/m/ip",
    "reauthenticate": "10/m/user",
    "change_password": "5/m/user",
    "manage_email": "10/m/user",
    # No telephone numbers here.
    "change_phone": "1/m/user",
    "verify_phone": "1/30s/key,3/m/ip",
    # Wrong passwords for an account in a browser in which its owner signed in before. Others share five in five
    # minutes, so that nobody can be locked out of their own browser by strangers.
    "login_failed_in_known_device": "10/5m/key",
}
# Mails to one address (apps/accounts/mail.py). Each rate's key says whose count it is. After a rate's time its first
# mail works again; a link to a new password, which the last mail before holds, must be good for longer than a day.
MAIL_RATES = {
    # Asked for from browsers that the owner of the address does not use: from one network, and from all together.
    # Somebody new needs three: one that went to the spam folder, one more, and one for the forgotten password.
    "network": "5/h/key,10/d/key",
    "strangers": "10/h/key,20/d/key",
    # By one browser in which the owner of the address signed in before.
    "known_browser": "10/h/key,30/d/key",
    # Of what was done to an account, by who is signed in to it. Somebody who sets up all at once gets ten.
    "notices": "30/d/key",
}

# Passkeys. What a device answers is about 1 KB, 8 KB where it says much of itself; the longest keys take 4 KB.
MAX_PASSKEY_CHARACTERS = 32 * 1024
MAX_PASSKEY_NAME_CHARACTERS = 60
# Of how many accounts a browser remembers that they signed in.
MAX_KNOWN_ACCOUNTS = 5

# Signing up.
# So long the same form, sent again by the same browser, is a second click on its button: it gets no second mail, and
# leads to where the first one leads.
SENT_TWICE_SECONDS = 30
# So long an account whose address nobody confirms keeps its user name, where somebody else wants it.
UNPROVEN_NAME_DAYS = 3

# The database. For how long anything may wait for a lock: longer than PostgreSQL takes to find a deadlock (a second),
# shorter than anybody looks at a page that does not come.
LOCK_SECONDS = 2.0
# For one statement. The slowest, parting a person from 100,000 messages, takes some seconds.
STATEMENT_SECONDS = 30.0
# For doing nothing within a transaction: no code of ours waits in one, but a process may be stopped.
IDLE_IN_TRANSACTION_SECONDS = 10.0
# For SQLite's file, which has one writer: a slow disk or a command that fills it takes some seconds.
FILE_SECONDS = 10.0
# For reaching the server; and for hearing nothing from it while it owes an answer to what was sent.
CONNECT_SECONDS = 5
SILENT_SECONDS = 20
# Connections of a process, and for how long somebody waits for one.
MAX_CONNECTIONS = 20
CONNECTION_SECONDS = 5.0
# How often a transaction is done that the database ends to get others on, with pauses of up to so many seconds.
TRIES = 4
MAX_RETRY_PAUSE_SECONDS = 0.05
# Of one room, in one process: at work or waiting at the database, of 20 connections and 8 threads of sockets.
MAX_AT_ONE_ROOM = 3
# And waiting for that, so long: a page asks after 8 seconds what became of its message.
MAX_WAITING_FOR_A_ROOM = 500
ROOM_SECONDS = 6.0
# Of all rooms that somebody holds, how many are tried at once.
MAX_TRYING = 2
# Notes of how far somebody has read, at once.
MAX_MARKING = 4
# Between two lines in the log about one kind of trouble with the database, which fails many requests at once.
TROUBLE_PAUSE_SECONDS = 5.0

# Connections. What a phone on 2G manages, and a program that holds connections for nothing does not.
# For the headers of a request, from its first byte (for the first one from connecting).
HEADERS_SECONDS = 20.0
# For a body, and a second more for so many bytes that have come; however many came, the next may take so long.
BODY_SECONDS = 20.0
BODY_BYTES_PER_SECOND = 2048
BODY_PAUSE_SECONDS = 60.0
# Between two requests, and for reading nothing of an answer.
IDLE_SECONDS = 75.0
# Answers that a client has not read while it asks for more.
MAX_UNREAD_ANSWER_BYTES = 1024 * 1024
# Of one address (an IPv6 line), where no proxy is in between. A whole request is not among them.
MAX_HALF_SENT = 200
# So long at least each may take: after a restart a school connects at once, before any of it is read.
HALF_SENT_SECONDS = 5.0
# Files and sockets of a process, as far as the system allows; of these for files, the database and Redis.
MAX_DESCRIPTORS = 65_536
KEPT_DESCRIPTORS = 256
# Connections that sockets leave to pages and health checks.
KEPT_FOR_PAGES = 64
# Frames of a socket. A page may send 200 posts at once, and answers a ping every 20 s; browsers send no pings.
MESSAGES_PER_SECOND = 100.0
MAX_MESSAGES_AT_ONCE = 400.0
CONTROLS_PER_SECOND = 10.0
MAX_CONTROLS_AT_ONCE = 100.0
# For telling a page that sent too much why it is closed.
LAST_WORDS_SECONDS = 5.0
# Sockets of people who are not signed in, of one address (an IPv6 line) in one process.
MAX_SOCKETS_OF_GUESTS = 100
# Of a body, in memory; what is more goes into a file.
MAX_BODY_BYTES_IN_MEMORY = 100_000
# Of a form that is refused, and given back: the longest message has 120 KB, where each letter takes twelve.
MAX_KEPT_BYTES = 256 * 1024

# Sites that people sign in from (providers): what one is asked, and what it may answer.
# From the first byte of asking until the last of the answer, for all questions of one page together. A person waits.
PROVIDER_SECONDS = 8.0
PROVIDER_CONNECT_SECONDS = 3.0
# Of one answer. Discovery and tokens have some KB; a person in very many groups has a token of some tens.
MAX_PROVIDER_ANSWER_BYTES = 256 * 1024
# Pages of one process that ask providers at once, and for how many seconds others wait until one of these is done:
# a class that comes back together waits some tenths of a second.
PROVIDER_PAGES = 16
PROVIDER_QUEUE_SECONDS = 2.0
# Questions of one process in a minute. Each start costs two, by a person who came back.
PROVIDER_CALLS_PER_MINUTE = 1200
# How long a provider is taken by its own description, and how long one that gave none is not asked again.
PROVIDER_CONFIGURATION_SECONDS = 600.0
PROVIDER_RETRY_SECONDS = 3.0
# How long a provider that was reached is not tried again before people are sent there.
PROVIDER_REACHED_SECONDS = 0.5

# Processes that agree (apps/core/cluster.py). How often each says that it lives and compares itself with the others;
# how often while it is not ready; and after how long a silence nobody waits for it any more.
BEAT_SECONDS = 15.0
SOON_SECONDS = 2.0
SILENCE_SECONDS = 45.0
# Expired sessions that are deleted at once, in a transaction that nobody notices.
MAX_SWEPT_SESSIONS = 500
# How far a process's clock may be from the database's. Machines that keep time are within a tenth of a second.
MAX_CLOCK_DIFFERENCE_SECONDS = 10.0
# How long a `migrate` waits for another one.
MIGRATE_SECONDS = 600.0

# Jobs (apps/jobs). How many of a queue one process does at once: those that work on the database, of which SQLite does
# one at a time anyway; and those that wait for others' servers.
JOB_THREADS = {"default": 1, "network": 4}
# How often a process looks for what others enqueued; what it enqueues itself begins at once.
JOB_POLL_SECONDS = 1.0
# How often a process that does jobs says that it lives, and after how long a silence others do what it had begun.
JOB_BEAT_SECONDS = 10.0
JOB_LEASE_SECONDS = 30.0
# How long no worker was heard of before web processes do the jobs themselves.
WORKER_SILENCE_SECONDS = 60.0
# How often a job is tried, and how long after the first failure; twice as long after each, up to the last number.
JOB_TRIES = 8
JOB_RETRY_SECONDS = 5.0
MAX_JOB_RETRY_SECONDS = 3600.0
# How long a process that ends waits for what it is doing: less than shutdown.WORK_SECONDS.
JOB_SHUTDOWN_SECONDS = 8.0
# How long those that are done, and those that failed, can be seen; and how many rows are deleted at once.
KEPT_JOBS_DAYS = 1
KEPT_FAILED_JOBS_DAYS = 30
MAX_PRUNED_ROWS = 500

# Mail that the site sends. How often one is tried, which takes about a day; and how long it is worth sending, where it
# holds no code that is over sooner.
MAIL_TRIES = 30
MAIL_SECONDS = 24 * 3600.0
# How long a page waits to learn whether the mail server is there; and for how long after mails failed a page that has
# learned nothing says that it is not.
MAIL_WAIT_SECONDS = 2.0
MAIL_TROUBLE_SECONDS = 60.0

# Rendering messages anew (apps/chat/renewal.py). For how long one job of it works; how many messages it looks at in one
# query; and after how long all are looked through again, for what older processes stored meanwhile.
RENEWAL_SECONDS = 1.0
RENEWAL_ROWS = 2000
RENEWAL_AGAIN_HOURS = 24
