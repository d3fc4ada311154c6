// Keys of the states, as text. Airport codes are letters and digits, so the separators make each key
// stand for exactly one flight, route or day.

const MINUTES_PER_DAY = 1_440;
const MS_PER_DAY = 86_400_000;

export function routeKey(origin: string, destination: string): string {
  return `${origin}-${destination}`;
}

/** All five columns. */
export function flightKey(route: string, minute: number, delay: number, distance: number): string {
  return `${route}:${minute}:${delay}:${distance}`;
}

export function routeDayKey(route: string, day: string): string {
  return `${route}:${day}`;
}

/** Number of the UTC day that a minute belongs to. */
export function dayOfMinute(minute: number): number {
  return Math.floor(minute / MINUTES_PER_DAY);
}

/** YYYY-MM-DD of a day's number. */
export function dayText(day: number): string {
  return new Date(day * MS_PER_DAY).toISOString().slice(0, 10);
}
