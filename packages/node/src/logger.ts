/**
 * The log: pino, one JSON object per line, on standard error; standard output belongs to the
 * banner and to whoever embeds the node.
 */
import { destination, pino } from 'pino'
import type { Logger } from 'pino'

export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const

export type LogLevel = (typeof LOG_LEVELS)[number]

const STANDARD_ERROR = 2

export function isLogLevel(text: unknown): text is LogLevel {
  return (LOG_LEVELS as readonly unknown[]).includes(text)
}

/** A logger of our own, or the one given. */
export function createLogger(given: LogLevel | Logger): Logger {
  if (typeof given !== 'string') return given
  return pino({ name: 'kv', level: given }, destination(STANDARD_ERROR))
}
