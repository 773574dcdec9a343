// Package agents turns the inventory into a registry of agents and compares the two.
//
//	inventory --Add--> Observed --Learn--> agents.yaml, every entry proposed
//	                            --Diff---> differences from a registry
//
// The inventory holds text that attackers write. In a learnt registry it is only ever the value of a scalar in double quotes,
// in ASCII, with everything else escaped: it cannot end the scalar, begin a comment, move the cursor of a terminal, change the
// direction of text, or look like another name. A learnt value is exact: a tool that is called * allows nothing but itself.
//
// Both results depend on the inventory and the registry alone. The latest event of the inventory takes the place of a clock.
package agents
