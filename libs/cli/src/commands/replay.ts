import { toJson } from '@bufbuild/protobuf';
import { ReplayEventsResponseSchema } from '@millrace/contracts/common';
import { parseWhole } from '../cli/duration.ts';
import { usage } from '../cli/usage.ts';
import { command } from '../command.ts';
import { withSuite } from '../session.ts';
import { readContexts } from './events.ts';

export const replay = command({
  summary: "Publishes a service's recorded events to NATS again; those the stream has are not doubled",
  args: [],
  options: {
    context: { type: 'string', value: 'CONTEXT', meaning: 'Whose events: registry, tracking …' },
    from: { type: 'string', value: 'N', meaning: 'The first sequence number. Default: 1.' },
    to: { type: 'string', value: 'M', meaning: 'The last sequence number. Default: the newest.' },
  },
  notes: ['Use it when a stream was lost or corrupted. Handlers meet events they know and change nothing.'],
  run: ({ options, globals, out }) => {
    if (options.context === undefined) throw usage('--context CONTEXT is missing');
    const context = readContexts([options.context])[0]!;
    const fromSequence = BigInt(options.from === undefined ? 1 : parseWhole(options.from, '--from', 1));
    const toSequence = BigInt(options.to === undefined ? 0 : parseWhole(options.to, '--to', 1));
    if (toSequence !== 0n && toSequence < fromSequence) throw usage('--to is before --from');
    // A long record takes longer than a usual call.
    const deadlineMs = globals.timeoutGiven ? globals.timeoutMs : 600_000;
    return withSuite(globals, async (millrace) => {
      out.progress(`publishing the events of ${context} …`);
      const answer = await millrace
        .eventLog(context)
        .replayEvents({ fromSequence, toSequence }, { deadlineMs });
      out.progress();
      out.document(toJson(ReplayEventsResponseSchema, answer) as object);
      out.line(`${answer.published} events published again; ${answer.duplicates} were there already.`);
      return 0;
    });
  },
});
