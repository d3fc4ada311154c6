// A planted bug: text of one source file, and what stands there instead.
export interface Mutant {
  readonly name: string;
  readonly file: string;
  readonly find: string;
  readonly replace: string;
  /** The part that is to notice it, and with which seeds. */
  readonly part: string;
  readonly seed: number;
  readonly seeds: number;
}

/** Throws unless the text is there exactly once: a mutant that plants nothing proves nothing. */
export function patched({ name, file, find, replace }: Mutant, source: string): string {
  const count = source.split(find).length - 1;
  if (count !== 1) throw new Error(`mutant ${name}: its text stands ${count} times in ${file}`);
  return source.replace(find, () => replace);
}
