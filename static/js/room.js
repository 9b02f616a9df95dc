// The scripts of a room's page, in the order in which they start.

import "./furniture.js";
import "./answers.js";
import "./connection.js";
import "./arrivals.js";
import "./announcer.js";
import "./announced.js";
import "./reading.js";
import "./composer.js";
import "./farewell.js";
import "./draft.js";
import "./pending.js";
import "./outbox.js";
import "./keys.js";
import "./focus.js";
import "./links.js";
import "./dialog.js";
import "./older.js";
import "./trim.js";
import "./viewer.js";
import "./sound.js";
