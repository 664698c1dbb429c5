// Made by `make messages` from locale/de/LC_MESSAGES/djangojs.po.
import { use } from "../i18n.js";

use({
  "language": "de",
  "messages": {
    "Copied": "Kopiert",
    "Theme: auto": "Farben: automatisch",
    "Theme: dark": "Farben: dunkel",
    "Theme: light": "Farben: hell",
    "nerapp does not answer at the moment; trying again.": "nerapp antwortet im Augenblick nicht; es wird weiter versucht.",
    "{step} of {total}": "{step} von {total}"
  },
  "plural": {
    "one": 0,
    "other": 1
  }
});
