/**
 * Notices that a connection is dead although nobody said so. Pure.
 *
 * While answers are due and nothing arrives, a ping is sent; if nothing arrives after that either,
 * the connection counts as lost. WebSocket pings would do in Node, but a page can't send them.
 */

/** Silence after which a ping is sent, if an answer is due. */
export const SILENCE_MS_MAX = 10_000

/** Silence after the ping that means the connection is lost. */
export const PONG_MS_MAX = 5_000

export interface Silence {
  readonly now: number
  /** When anything last arrived. */
  readonly heardAt: number
  /** When a ping was sent, if nothing has arrived since. */
  readonly pingedAt: number | undefined
  readonly isAnswerDue: boolean
}

export type LivenessStep =
  | { readonly kind: 'wait'; readonly until: number }
  | { readonly kind: 'ping'; readonly until: number }
  | { readonly kind: 'lost' }

export function judgeSilence({ now, heardAt, pingedAt, isAnswerDue }: Silence): LivenessStep {
  if (pingedAt !== undefined) {
    const until = pingedAt + PONG_MS_MAX
    return now >= until ? { kind: 'lost' } : { kind: 'wait', until }
  }
  const pingAt = heardAt + SILENCE_MS_MAX
  if (now < pingAt) return { kind: 'wait', until: pingAt }
  if (!isAnswerDue) return { kind: 'wait', until: now + SILENCE_MS_MAX }
  return { kind: 'ping', until: now + PONG_MS_MAX }
}
