// The page's own words (key French / English), and how numbers, sizes and times look.
// "{n}" is filled in; of "[one|many]" the form is taken that goes with n.

const TABLE = `
live En direct / Live
since depuis {since} / since {since}
skip Aller au contenu / Skip to the content
search Identifiant ou chemin / Id or path
other English / Français
close Fermer / Close
lost Le démon ne répond plus depuis {since} / The daemon does not answer since {since}
lost_never Le démon ne répond pas / The daemon does not answer
lost_rest ce qui suit a pu changer / what follows may have changed
refused Le démon refuse / The daemon refuses
none Aucun document pour l’instant / No documents yet
none_rest le premier partira dès son arrivée / the first one leaves as soon as it arrives
all_safe [Le document est|Les {n} documents sont] en sécurité / [The document is|All {n} documents are] safe
some_safe {n} [document|documents] sur {total} [est|sont] en sécurité / {n} of {total} documents [is|are] safe
none_safe [Le document n’est pas encore|Aucun des {n} documents n’est encore] en sécurité / [The document is not safe yet|None of the {n} documents is safe yet]
coming {n} [est|sont] en route / {n} [is on its|are on their] way
waits {n} [attend son|attendent leur] fichier, [son|leur] analyse ou un nouvel essai / {n} [waits for its|wait for their] file, analysis or another attempt
because {n} [attend|attendent] car {why} depuis {since} / {n} [waits|wait] because {why} since {since}
will_wait les prochains attendront car {why} depuis {since} / new ones will wait because {why} since {since}
attention {n} [demande|demandent] votre attention / {n} [needs|need] your attention
unproven {n} [est marqué|sont marqués] sans preuve / {n} [is|are] marked without proof
left encore {time} environ / about {time} left
and {one} ; {other} / {one}; {other}
last_sync Dernière copie vérifiée / Last copy verified
state.safe En sécurité / Safe
state.ready Prêt / Ready
state.working En cours / Working
state.waiting En attente / Waiting
state.unproven À vérifier / To be checked
state.trouble À régler / Needs attention
state.lost Sans nouvelles / No contact
state.asking Un instant… / One moment…
why.unknown le NAS n’a pas encore répondu / the NAS has not answered yet
why.unconfigured aucun NAS n’est configuré / no NAS is configured
why.missing le chemin du NAS n’existe pas / the path of the NAS does not exist
why.not_mounted le NAS n’est pas monté / the NAS is not mounted
why.foreign un autre NAS est monté / another NAS is mounted
why.suspect le NAS est monté autrement / the NAS is mounted in another way
why.denied le NAS refuse l’accès / the NAS refuses access
why.read_only le NAS est en lecture seule / the NAS is read-only
why.full le NAS est plein / the NAS is full
why.hung le NAS ne répond pas / the NAS does not answer
why.down le NAS est injoignable / the NAS cannot be reached
why.ok le NAS est monté et accessible en écriture / the NAS is mounted and writable
why.uploads le dossier des documents est illisible / the upload folder cannot be read
why.database la base de données ne répond pas / the database does not answer
do.unconfigured renseignez NAS_MOUNT_PATH / set NAS_MOUNT_PATH
do.missing montez {share} / mount {share}
do.not_mounted montez {share} / mount {share}
do.full libérez de l’espace / free some space
part.safe en sécurité / safe
part.inherited sans preuve / unproven
part.coming en route / on the way
part.waiting en attente / waiting
part.problems à regarder / to look at
part.failed en échec / failed
part.proven [prouvé|prouvés] / proven
part.recopied à recopier / to copy again
sync Synchroniser / Sync now
test Tester le NAS / Test the NAS
prove Vérifier sur le NAS / Check on the NAS
begun C’est lancé… / Started…
nothing Rien à copier. / Nothing to copy.
stopped Interrompu : {text} / Stopped: {text}
failed_call Cela n’a pas abouti : {text} / That did not work: {text}
inherited {n} [document est marqué|documents sont marqués] sans preuve de notre part. Le bouton, comme « nas-syncd sync --inherited », relit le NAS : la preuve est faite, ou le document recopié. / {n} [document is|documents are] marked without proof of ours. The button, like “nas-syncd sync --inherited”, reads the NAS: they are proven, or copied again.
database Base de données / Database
uploads Dossier des documents / Upload folder
checked Vérifié / Checked
source Partage / Share
path Chemin / Path
space Espace libre / Free space
of {done} sur {total} / {done} of {total}
activity En ce moment / Right now
idle Rien en cours. / Nothing under way.
paused En pause, tout reprend de soi-même. / Paused; everything goes on by itself.
queued {n} dans la file / {n} in the queue
recent Derniers documents / Latest documents
took en {time} / in {time}
no_row {n} [fichier|fichiers] sans ligne dans la base : / {n} [file|files] without a row in the database:
waiting {n} [document attend|documents attendent] : pourquoi ? / {n} [document waits|documents wait]: why?
next_attempt prochain essai {when} / next attempt {when}
problem Problème / Problem
failed Nouvel essai prévu / Will be retried
retry Réessayer / Retry
why Pourquoi ? / Why?
retried En tête de file / Next in line
more Voir la suite / Show more
document Document {id} / Document {id}
months Mois par mois / Month by month
months_marked Y compris ce qui est marqué sans preuve. / Includes what is marked without proof.
undated Sans date / Undated
documents {n} [document|documents] / {n} [document|documents]
all complet / complete
empty aucun document / no documents
missing {n} [manque|manquent] / {n} missing
cell {safe} sur {total} sur le NAS, {state} / {safe} of {total} on the NAS, {state}
type.invoice Factures / Invoices
type.receipt Tickets / Receipts
type.payslip Salaires / Payslips
type.other Autres / Other
next La suite / What is next
file Fichier / File
place Destination / Destination
receipt Reçu / Receipt
receipt_ok vérifié le {at} / verified on {at}
receipt_old du {at}, ne vaut plus ici / of {at}, no longer valid here
history Histoire / History
journal.waiting en attente / waiting
journal.copying copie en cours / being copied
journal.copied copié et vérifié / copied and verified
journal.marking marque envoyée / mark sent
journal.synced marqué / marked
journal.failed échec / failed
journal.problem problème / problem
journal.gone ligne disparue / row gone
token_title Cette page demande un jeton / This page asks for a token
token_text La valeur de NAS_SYNCD_API_TOKEN, oubliée avec l’onglet. / The value of NAS_SYNCD_API_TOKEN; forgotten with this tab.
token Jeton / Token
token_wrong Ce jeton n’est pas le bon. / That is not the right token.
enter Entrer / Enter
`;

const LANGUAGES = ["fr", "en"];
const asked = [new URLSearchParams(location.search).get("lang") || "", ...navigator.languages];
export const lang = asked.map((one) => one.slice(0, 2).toLowerCase()).find((one) => LANGUAGES.includes(one)) || "fr";
export const otherLang = lang === "fr" ? "en" : "fr";
const locale = asked.find((one) => one.length > 2 && one.toLowerCase().startsWith(lang)) || lang;

/** French typography: no line ends before : ; ? ! » or after «. */
const spaced = (text) => text.replace(/ ([:»])|(«) /g, "$2\u00a0$1").replace(/ ([;?!])/g, "\u202f$1");
const typeset = lang === "fr" ? spaced : (text) => text;

const words = {};
for (const line of TABLE.trim().split("\n")) {
	const [, key, fr, en] = /^(\S+) (.*) \/ (.*)$/.exec(line);
	words[key] = typeset(lang === "fr" ? fr : en);
}
export const has = (key) => key in words;

const plural = new Intl.PluralRules(locale);
const integer = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 });
const decimal = new Intl.NumberFormat(locale, { maximumFractionDigits: 1 });
const dates = (style) => new Intl.DateTimeFormat(locale, style);
const clock = dates({ hour: "2-digit", minute: "2-digit" });
const dayClock = dates({ day: "numeric", month: "long", hour: "2-digit", minute: "2-digit" });
const full = dates({ dateStyle: "long", timeStyle: "medium" });
const monthForms = [{ month: "short" }, { month: "narrow" }, { month: "long", year: "numeric" }].map(dates);
const relative = new Intl.RelativeTimeFormat(locale, { numeric: "auto" });

export function t(key, blanks = {}) {
	const many = plural.select(blanks.n ?? 1) !== "one";
	return words[key]
		.replace(/\[([^|\]]*)\|([^\]]*)\]/g, (_, one, other) => (many ? other : one))
		.replace(/\{(\w+)\}/g, (_, name) => {
			const value = blanks[name] ?? "?";
			return typeof value === "number" ? integer.format(value) : value;
		});
}

export const num = (value) => integer.format(value);
export const capital = (text) => text.charAt(0).toLocaleUpperCase(locale) + text.slice(1);

/** Text from outside, made harmless: controls, writing directions and broken characters are shown. */
export function visible(text) {
	const steering = /[\x00-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]|\p{Cs}/gu;
	return String(text).replace(steering, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
/** A sentence of the daemon's. */
export const prose = (text) => typeset(visible(text));

const UNITS = lang === "fr" ? ["o", "Kio", "Mio", "Gio", "Tio"] : ["B", "KiB", "MiB", "GiB", "TiB"];

export function size(bytes) {
	let unit = 0;
	for (; bytes >= 1023.95 && unit < UNITS.length - 1; unit += 1) bytes /= 1024;
	return `${decimal.format(bytes)}\u00a0${UNITS[unit]}`;
}

const SPANS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
const span = (seconds) => SPANS.find(([, length]) => seconds >= length * 0.95) || SPANS[3];

export function duration(seconds) {
	const [unit, length] = span(seconds);
	if (unit === "second") return `${(seconds < 10 ? decimal : integer).format(seconds)}\u00a0s`;
	const style = { style: "unit", unit, unitDisplay: "long", maximumFractionDigits: 0 };
	return new Intl.NumberFormat(locale, style).format(seconds / length);
}

/** "2 minutes ago", "in 5 minutes". */
export function ago(date) {
	const seconds = (date - Date.now()) / 1000;
	const [unit, length] = span(Math.abs(seconds));
	return relative.format(Math.abs(seconds) < 5 ? 0 : Math.round(seconds / length), unit);
}

/** A moment as short as it stays clear: the time today, else the day, too. */
export function moment(date) {
	if (date.toDateString() === new Date().toDateString()) return clock.format(date);
	return (lang === "fr" ? "le " : "") + dayClock.format(date);
}
export const fullTime = (date) => full.format(date);
/** "Jan", "J" and "January 2024" of "2024-01". */
export const monthNames = (month) => monthForms.map((form) => form.format(new Date(`${month}-15T12:00`)));
