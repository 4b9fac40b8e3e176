/**
 * Everything that is tested inside a page, as one program: the behaviour every keyspace has, and
 * what only a page can show.
 */
import { createClient } from '@kv/client'
import { describeKeyspace } from '../behaviour/keyspace-behaviour.js'
import { describeLostLines } from './lost-lines.js'
import type { PageResult } from './results.js'
import { runInPage } from './run-in-page.js'
import { describeValuesAcross } from './values-across-behaviour.js'

export interface PageOptions {
  /** Of the node itself. */
  readonly url: string
  /** Of a line to it that the test outside holds in its hands. */
  readonly tapUrl: string
}

export function runKeyspace({ url, tapUrl }: PageOptions): Promise<readonly PageResult[]> {
  return runInPage(() => {
    describeKeyspace({ name: 'a page', makeClient: () => createClient(url) })
    describeValuesAcross(url)
    describeLostLines(tapUrl)
  })
}
