/** What the command's exit code says; scripts rely on them. */
export const exitCodes = {
  /** Done, and nothing to complain of. */
  fine: 0,
  /** It failed, or it found what it was asked to look for: drift, differences, rows that cannot be read. */
  failure: 1,
  /** It was called in a way that it cannot understand; nothing was done. */
  usage: 2,
  /** Ended by SIGINT (Ctrl-C). What was done until then stays done. */
  interrupted: 130,
  /** Ended by SIGTERM. */
  terminated: 143,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

export const exitCodesHelp = `
Exit codes:
  0    done
  1    failed, or something was found: drift, a difference, a row that cannot be read
  2    not understood; nothing was done
  130  interrupted by Ctrl-C; what was done until then stays (143: by SIGTERM)`;
