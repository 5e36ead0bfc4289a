package constructs

import (
	"strings"

	"github.com/writ-dsr/writ/infra/jsii"
)

// namespace is where the functions' own metrics go, with the company as their
// only dimension.
const namespace = "Writ"

// Mail declares the configuration set by which the mail service reports on the
// mails of this stack alone, and returns its name.
func (w Workshop) Mail() string {
	set := w.New("aws_ses.CfnConfigurationSet", "MailSet", jsii.Map{"name": w.Stack})
	destination := w.New("aws_ses.CfnConfigurationSetEventDestination", "MailEvents", jsii.Map{
		"configurationSetName": w.Stack,
		"eventDestination": jsii.Map{
			"name":                   "events",
			"enabled":                true,
			"matchingEventTypes":     []any{"bounce", "complaint", "delivery", "reject"},
			"eventBridgeDestination": jsii.Map{"eventBusArn": w.ARN("events", "event-bus/default")},
		},
	})
	w.K.Invoke(destination, "addDependency", set)
	return w.Stack
}

// Rules declares what runs without a person: the day, the hour, an execution that no
// Catch saw end, and a report of the mail service.
func (w Workshop) Rules(sweep, records, bounce Function) {
	w.rule("Daily", "Writ: the end of its own records", records, jsii.Map{
		"schedule": w.K.InvokeStatic(lib+"aws_events.Schedule", "rate", w.days(1)).Ref(),
	})
	w.rule("Hourly", "Writ: reminders, expiry, re-checks, reconciliation", sweep, jsii.Map{
		"schedule": w.K.InvokeStatic(lib+"aws_events.Schedule", "rate", w.K.InvokeStatic(lib+"Duration", "hours", 1).Ref()).Ref(),
	})
	w.rule("Stopped", "Writ: a run of a request that ended without an answer", sweep, jsii.Map{
		"eventPattern": jsii.Map{
			"source":     []any{"aws.states"},
			"detailType": []any{"Step Functions Execution Status Change"},
			"detail":     jsii.Map{"status": []any{"FAILED", "TIMED_OUT", "ABORTED"}, "stateMachineArn": []any{w.MachineARN()}},
		},
	})
	w.rule("MailReports", "Writ: bounces, complaints and deliveries of this stack's mails", bounce, jsii.Map{
		"eventPattern": jsii.Map{
			"source": []any{"aws.ses"},
			"detail": jsii.Map{"mail": jsii.Map{"tags": jsii.Map{"ses:configuration-set": []any{w.Stack}}}},
		},
	})
}

func (w Workshop) rule(id, description string, to Function, props jsii.Map) {
	props["description"] = description
	props["ruleName"] = w.FunctionName(strings.ToLower(id))
	rule := w.New("aws_events.Rule", "Rule"+id, props)
	w.K.Invoke(rule, "addTarget", w.K.Create(lib+"aws_events_targets.LambdaFunction", to.Ref))
}

// Alarms declares what tells the operator: failed functions, failed runs, the
// API's own errors, requests that need a person and requests nearly due. The
// topic mails the address, if there is one. Each alarm watches one metric, for
// emulators know no metric math and a sum costs as much.
func (w Workshop) Alarms(company, address string, functions []Function) {
	topic := w.New("aws_sns.Topic", "Alarms", jsii.Map{"topicName": w.FunctionName("alarms"), "enforceSSL": true})
	// A topic with a policy of its own has lost the one by which alarms reach it.
	w.K.Invoke(topic, "addToResourcePolicy", w.K.InvokeStatic(lib+"aws_iam.PolicyStatement", "fromJson", jsii.Map{
		"Sid":       "AlarmsOfThisAccount",
		"Effect":    "Allow",
		"Principal": jsii.Map{"Service": "cloudwatch.amazonaws.com"},
		"Action":    "sns:Publish",
		"Resource":  w.Text(topic, "topicArn"),
		"Condition": jsii.Map{"StringEquals": jsii.Map{"aws:SourceAccount": w.Text(w.Ref, "account")}},
	}).Ref())
	if address != "" {
		w.K.Invoke(topic, "addSubscription", w.K.Create(lib+"aws_sns_subscriptions.EmailSubscription", address))
	}
	notify := w.K.Create(lib+"aws_cloudwatch_actions.SnsAction", topic)

	for _, f := range functions {
		w.alarm("Errors"+pascal(strings.TrimPrefix(f.Name, w.Stack+"-")), "a function failed; its log names the cause", 1, notify,
			w.metric("AWS/Lambda", "Errors", 300, jsii.Map{"FunctionName": f.Name}))
	}
	for _, end := range []string{"Failed", "TimedOut"} {
		w.alarm("Runs"+end, "a run ended without an answer; the sweep starts a new one or gives the request an owner", 1, notify,
			w.metric("AWS/States", "Executions"+end, 300, jsii.Map{"StateMachineArn": w.MachineARN()}))
	}
	w.alarm("RetentionFailed", "a system could not list what has expired; its function's log names the cause", 1, notify,
		w.metric("AWS/States", "ExecutionsFailed", 300, jsii.Map{"StateMachineArn": w.RetentionARN()}))
	w.alarm("ApiErrors", "the pages answer with errors", 5, notify,
		w.metric("AWS/ApiGateway", "5XXError", 300, jsii.Map{"ApiName": w.Stack, "Stage": Stage}))
	w.alarm("NeedsAttention", "a request needs its owner; POST /desk/requests/list shows it", 1, notify,
		w.metric(namespace, "needs_attention", 3600, jsii.Map{"company": company}))
	w.alarm("DueSoon", "a request is nearly due and still open; POST /desk/requests/list shows it", 1, notify,
		w.metric(namespace, "due_soon", 3600, jsii.Map{"company": company}))
}

func (w Workshop) metric(from, name string, seconds int, dimensions jsii.Map) jsii.Ref {
	return w.K.Create(lib+"aws_cloudwatch.Metric", jsii.Map{
		"namespace": from, "metricName": name, "statistic": "Sum", "period": w.seconds(seconds), "dimensionsMap": dimensions,
	})
}

func (w Workshop) alarm(id, says string, threshold int, notify, metric jsii.Ref) {
	alarm := w.New("aws_cloudwatch.Alarm", "Alarm"+id, jsii.Map{
		"alarmName":          w.Stack + "-" + id,
		"alarmDescription":   "Writ: " + says,
		"metric":             metric,
		"threshold":          threshold,
		"evaluationPeriods":  1,
		"comparisonOperator": enum("aws_cloudwatch.ComparisonOperator/GREATER_THAN_OR_EQUAL_TO_THRESHOLD"),
		"treatMissingData":   enum("aws_cloudwatch.TreatMissingData/NOT_BREACHING"),
	})
	w.K.Invoke(alarm, "addAlarmAction", notify)
}
