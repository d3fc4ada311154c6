// What commands print to. Results go to stdout, everything else to stderr.
//   T1. Colours and progress only on a terminal; colours not if NO_COLOR says so.
//   T2. What a checkpoint holds cannot control the terminal: control characters are escaped there.
//   T3. A reader that goes away (`| head`) ends the command without an error.

const FLUSH_LENGTH = 65_536;
const CLEAR_LINE = "\r\u001b[K";

export type Colour = "red" | "green" | "yellow" | "dim" | "bold";

const codes: Readonly<Record<Colour, number>> = { red: 31, green: 32, yellow: 33, dim: 2, bold: 1 };

/** Streams as far as they are used: those of the process, or of a test. */
export interface OutputStream {
  readonly isTTY?: boolean | undefined;
  write(text: string): boolean;
  once(event: "drain", listener: () => void): unknown;
  on(event: "error", listener: (error: Error) => void): unknown;
}

export interface Streams {
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

export class Terminal {
  readonly isJson: boolean;
  readonly #streams: Streams;
  readonly #isTerminal: boolean;
  readonly #hasColours: boolean;
  #pending = "";
  #isReaderGone = false;
  /** Ends the wait for a slow reader. */
  #continue: (() => void) | undefined = undefined;
  #hasProgress = false;

  constructor(streams: Streams, isJson: boolean) {
    this.#streams = streams;
    this.isJson = isJson;
    const { stdout, environment } = streams;
    this.#isTerminal = stdout.isTTY === true;
    const isPlain = (environment["NO_COLOR"] ?? "") !== "" || environment["TERM"] === "dumb";
    this.#hasColours = this.#isTerminal && !isPlain && !isJson; // T1
    stdout.on("error", () => {
      this.#isReaderGone = true; // T3
      this.#continue?.();
    });
    streams.stderr.on("error", () => undefined);
  }

  /** True once nobody reads any more: commands stop then. */
  get isReaderGone(): boolean {
    return this.#isReaderGone;
  }

  /** Prints a result line; waits where the reader is slower. */
  async line(text: string): Promise<void> {
    await this.text(`${text}\n`);
  }

  /** Whole lines, with their ends. */
  async text(text: string): Promise<void> {
    this.#pending += text;
    if (this.#pending.length >= FLUSH_LENGTH) await this.flush();
  }

  /** A result as a JSON line, or as text. */
  async result(record: object, text: string): Promise<void> {
    await this.line(this.isJson ? JSON.stringify(record) : text);
  }

  /** To be awaited at the end. */
  async flush(): Promise<void> {
    this.#clearProgress();
    const { stdout } = this.#streams;
    const text = this.#pending;
    this.#pending = "";
    if (text === "" || this.#isReaderGone) return;
    if (stdout.write(this.#isTerminal ? printable(text) : text)) return;
    await new Promise<void>((resolve) => {
      this.#continue = resolve;
      stdout.once("drain", resolve);
    });
  }

  /** Beside the results: warnings, summaries, errors. */
  note(text: string): void {
    this.#clearProgress();
    this.#streams.stderr.write(`${printable(text)}\n`);
  }

  /** Replaces the last line of a terminal. */
  progress(text: string): void {
    if (this.#streams.stderr.isTTY !== true) return; // T1
    this.#streams.stderr.write(`${CLEAR_LINE}${printable(text)}`);
    this.#hasProgress = true;
  }

  colour(colour: Colour, text: string): string {
    return this.#hasColours ? `\u001b[${codes[colour]}m${text}\u001b[0m` : text;
  }

  #clearProgress(): void {
    if (!this.#hasProgress) return;
    this.#hasProgress = false;
    this.#streams.stderr.write(CLEAR_LINE);
  }
}

/** Escapes what a terminal obeys, but for line ends and our own colours. Valid in JSON strings too. */
function printable(text: string): string {
  return text.replaceAll(
    // oxlint-disable-next-line no-control-regex
    /\u001b(?!\[\d{1,2}m)|[\u0000-\u0008\u000b\u000c\u000e-\u001a\u001c-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
