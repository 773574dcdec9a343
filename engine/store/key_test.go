package store

// Two tables with one byte do not compile.
var _ = map[byte]struct{}{
	tableVersion: {}, tableMeta: {}, tableCell: {}, tableTimer: {}, tableItems: {}, tablePaged: {}, tableRetired: {}, tableOutbox: {},
	tableFinding: {}, tableGroup: {}, tableChange: {}, tableSink: {}, tableRetry: {}, tableEntity: {}, tableDeltas: {}, tableRank: {},
	tableRows: {}, tableRowSink: {}, tableDead: {}, tableDeadOut: {}, tableAudit: {}, tableNote: {}, tableResponse: {}, tableApproval: {},
	tableToken: {}, tableTriage: {}, tableSnooze: {}, tableOldAudit: {},
}
