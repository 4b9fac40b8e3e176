import { SessionTable } from '../sessions/session-table.js'
import type { AppliedBeside } from '../state/applier.js'

/** What is applied beside the entries where nobody wrote as a client. */
export function beside(): AppliedBeside {
  return { sessions: new SessionTable(), timeMs: 0 }
}
