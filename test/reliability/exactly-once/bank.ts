// Transfers between accounts: the sum stays zero, and every account counts what happens to it.
import { groupOf } from "../../support/savepoint-job.ts";
import { KEY_GROUPS, rangesOf } from "../../support/task-job.ts";

export const ACCOUNTS = 64;

export interface Transfer {
  readonly from: number;
  readonly to: number;
  readonly amount: number;
}

/** The transfer at a position: the same in every run of a seed. */
export function transferAt(seed: number, offset: number): Transfer {
  let mixed = Math.imul((offset + 1) ^ Math.imul(seed, 0x85ebca6b), 0x9e3779b1);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x85ebca6b);
  mixed = (mixed ^ (mixed >>> 13)) >>> 0;
  const from = mixed % ACCOUNTS;
  const to = (from + 1 + (Math.floor(mixed / ACCOUNTS) % (ACCOUNTS - 1))) % ACCOUNTS;
  return { from, to, amount: 1 + (mixed >>> 20) };
}

export interface Account {
  readonly balance: number;
  /** Transfers from or to it so far. */
  readonly sequence: number;
}

export const newAccount: Account = { balance: 0, sequence: 0 };

export function changed({ balance, sequence }: Account, amount: number): Account {
  return { balance: balance + amount, sequence: sequence + 1 };
}

/** All accounts after so many transfers; `told` is called for each side of each of them. */
export function replay(
  seed: number,
  offset: number,
  told?: (position: number, account: number, sequence: number) => void,
): Account[] {
  const accounts: Account[] = Array.from({ length: ACCOUNTS }, () => newAccount);
  for (let at = 0; at < offset; at++) {
    const { from, to, amount } = transferAt(seed, at);
    for (const [side, account, by] of [
      [0, from, -amount],
      [1, to, amount],
    ] as const) {
      accounts[account] = changed(accounts[account]!, by);
      told?.(at * 2 + side, account, accounts[account].sequence);
    }
  }
  return accounts;
}

export function accountKey(account: number): string {
  return `account-${account}`;
}

/** Which of so many tasks, and of their sinks, an account belongs to. */
export function taskOf(account: number, tasks: number): number {
  const group = groupOf(accountKey(account), KEY_GROUPS);
  return rangesOf(tasks).findIndex(({ first, last }) => group >= first && group <= last);
}
