/**
 * How a person likes the workbench: the reading size and the edges put away are a cookie, so that the server paints the
 * page right the first time; keys are kept in this browser.
 */

const COOKIE = "workbench";
const YEAR = 31_536_000;
export const SIZES = [15, 16, 17, 18, 19, 20, 21, 22, 23, 24];

/** The words of the cookie, as labeling/preferences.py reads them. */
export function readLook(cookie) {
  const found = cookie.split("; ").find((part) => part.startsWith(`${COOKIE}=`));
  const words = (found ?? "").slice(COOKIE.length + 1).split(".");
  const size = Number(words.find((word) => word.startsWith("size-"))?.slice(5));
  return {
    size: SIZES.includes(size) ? size : 18,
    away: ["rail", "side"].filter((edge) => words.includes(`no-${edge}`)),
  };
}

export function writeLook({ size, away }) {
  const words = [`size-${size}`, ...away.map((edge) => `no-${edge}`)];
  document.cookie = `${COOKIE}=${words.join(".")}; path=/; max-age=${YEAR}; samesite=lax`;
}

/** A person's own keys by action; none where the browser keeps nothing. */
export function readKeys(user) {
  try {
    const own = JSON.parse(localStorage.getItem(`nerapp-keys:${user}`) ?? "{}");
    return Object.fromEntries(Object.entries(own).filter(([, keys]) => Array.isArray(keys) && keys.every((key) => typeof key === "string")));
  } catch {
    return {};
  }
}

export function writeKeys(user, own) {
  localStorage.setItem(`nerapp-keys:${user}`, JSON.stringify(own));
}
