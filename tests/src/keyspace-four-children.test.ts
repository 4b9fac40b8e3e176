/**
 * Every call of the client, on a node of four children that runs as a process of its own.
 */
import { afterAll, beforeAll } from 'vitest'
import { describeKeyspace } from './behaviour/keyspace-behaviour.js'
import { Scene } from './scene/scene.js'

const scene = new Scene('four children')
let url = ''

beforeAll(async () => {
  const node = await scene.serve({ children: 4 })
  url = node.url
})
afterAll(() => scene.end())

describeKeyspace({ name: 'four children', makeClient: () => scene.client({ url, direct: false }) })
