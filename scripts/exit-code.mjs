import { constants } from 'node:os'

/** The exit code a shell would report for a finished process: 128 + number if a signal ended it. */
export function exitCodeOf({ status, signal, error }) {
  if (error) console.error(error.message)
  if (signal) return 128 + (constants.signals[signal] ?? 0)
  return status ?? 1
}
